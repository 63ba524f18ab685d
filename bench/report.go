package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// result is what was seen of a case.
type result struct {
	project   *project
	kind      kind
	peers     []peer
	runs      map[string][]run // by the peer's name
	rounds    int
	processes map[string]int
	sizes     map[string]int64 // of what was pushed, without the base
}

func newResult(p *project, k kind, peers []peer) *result {
	return &result{project: p, kind: k, peers: peers, sizes: map[string]int64{}, runs: map[string][]run{}, processes: map[string]int{}}
}

// report writes the results of all cases that names lists, in that order, as Markdown: those of old, an earlier report, where a case
// is not among the new ones.
func (l *lab) report(ctx context.Context, names []string, results []*result, old string) (string, error) {
	sections := map[string]string{}
	for section := range strings.SplitSeq(old, "\n## ") {
		name, _, _ := strings.Cut(section, ": ")
		sections[name] = "\n## " + strings.TrimRight(section, "\n") + "\n"
	}
	for _, r := range results {
		sections[r.name()] = r.section()
	}
	var text strings.Builder
	fmt.Fprint(&text, "# Results\n\nWritten by `go run .` in this directory; the README beside it says how.\n\n")
	for _, v := range [][]string{{"go", "version"}, {filepath.Join(l.dir, "slipway"), "version"}, {"go", "list", "-m", "github.com/google/ko"}} {
		out, err := exec.CommandContext(ctx, v[0], v[1:]...).Output()
		if err != nil {
			return "", fmt.Errorf("asking for a version: %w", err)
		}
		fmt.Fprintf(&text, "- %s\n", strings.TrimSpace(string(out)))
	}
	fmt.Fprintf(&text, "- %d processors: %s\n", runtime.NumCPU(), processor())
	text.WriteString("\nTimes are medians in seconds. A ratio is Slipway's time over the tool's, of the same round: median (least–most); after\n" +
		"processor time, it is that of processor times, which other work on the machine changes less. Memory is the peak\n" +
		"in MiB of the tool's own process, and of the biggest process that it started or is. Processes are those of one run that was not timed. Layers are\n" +
		"the MB, compressed, of what was pushed on top of the base, of both platforms; ko's images are its default ones. Moved are the MB to and from the\n" +
		"registry, and in tarballs, both ways.\n")
	for _, name := range names {
		text.WriteString(sections[name])
	}
	return text.String(), nil
}

func (r *result) name() string { return r.project.name + "/" + r.kind.name }

func (r *result) section() string {
	var text strings.Builder
	fmt.Fprintf(&text, "\n## %s: %d rounds\n\n| tool | time | least–most | slipway takes | processor time | slipway takes | own memory | biggest | processes | layers | moved | failed |\n"+
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n", r.name(), r.rounds)
	for _, p := range r.peers {
		fmt.Fprintln(&text, r.row(p.name))
	}
	if wall, cpu := r.added(); len(wall) > 0 {
		fmt.Fprintf(&text, "\nFilling an empty cache takes %.2f (%.2f–%.2f) of the time without one, and %.2f (%.2f–%.2f) of the processor time.\n",
			middle(wall), slices.Min(wall), slices.Max(wall), middle(cpu), slices.Min(cpu), slices.Max(cpu))
	}
	for _, p := range r.peers {
		for i, run := range r.runs[p.name] {
			if run.fault != "" {
				fmt.Fprintf(&text, "\n%s failed in round %d: %s\n", p.name, i+1, run.fault)
			}
		}
	}
	return text.String()
}

// added are the times and processor times of filling the cache over those without one, of the same round.
func (r *result) added() (wall, cpu []float64) {
	filling, without := r.runs[slipwayFilling], r.runs[slipwayUncached]
	for i := range min(len(filling), len(without)) {
		if filling[i].fault == "" && without[i].fault == "" {
			wall = append(wall, filling[i].wall.Seconds()/without[i].wall.Seconds())
			cpu = append(cpu, filling[i].cpu.Seconds()/without[i].cpu.Seconds())
		}
	}
	return wall, cpu
}

func (r *result) row(name string) string {
	var wall, cpu, ratio, work []float64
	var own, most, moved []int64
	failed := 0
	for i, run := range r.runs[name] {
		if run.fault != "" {
			failed++
			continue
		}
		wall, cpu = append(wall, run.wall.Seconds()), append(cpu, run.cpu.Seconds())
		own, most = append(own, run.own>>20), append(most, run.most>>20)
		moved = append(moved, run.moved)
		if ours := r.runs[slipway][i]; ours.fault == "" {
			ratio = append(ratio, ours.wall.Seconds()/run.wall.Seconds())
			work = append(work, ours.cpu.Seconds()/run.cpu.Seconds())
		}
	}
	cell := func(values []float64, spread bool) string {
		switch {
		case len(values) == 0:
			return "–"
		case spread:
			digits := 2
			if middle(values) < 0.02 {
				digits = 4
			}
			return fmt.Sprintf("%.*f (%.*f–%.*f)", digits, middle(values), digits, slices.Min(values), digits, slices.Max(values))
		default:
			return fmt.Sprintf("%.2f", middle(values))
		}
	}
	between, ratios, works, processes := "–", "", "", "–"
	if len(wall) > 0 {
		between = fmt.Sprintf("%.2f–%.2f", slices.Min(wall), slices.Max(wall))
	}
	if name != slipway {
		ratios, works = cell(ratio, true), cell(work, true)
	}
	if n, ok := r.processes[name]; ok {
		processes = fmt.Sprint(n)
	}
	size := "–"
	if n := r.sizes[name]; n > 0 {
		size = fmt.Sprintf("%.2f", float64(n)/1e6)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %d | %d | %s | %s | %.1f | %d |",
		name, cell(wall, false), between, ratios, cell(cpu, false), works, middle(own), middle(most), processes, size, float64(middle(moved))/1e6, failed)
}

// processor is what the kernel calls it.
func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
