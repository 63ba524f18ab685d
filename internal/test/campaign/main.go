//go:build unix

// Command campaign puts the slipway command through faults, and counts what comes of them:
//
//	go run ./internal/test/campaign
//
// A trial is right if the command did what it says although something went wrong, refused if it gave an error that is right, and wrong
// if it said something false, left something behind or did not end. Each trial is made from the seed, its kind and its number, so that
// it can be repeated: -seed 7 -kind kill -trial 12. Moments are counted in time, so that a repeated trial of the kinds kill and pause is
// alike and not the same. The exit status is 1 if a trial is wrong.
package main

import (
	"context"
	"flag"
	"fmt"
	"hash/fnv"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"
)

// kind is a kind of faults.
type kind struct {
	name string
	run  func(t *trial) verdict
}

var kinds = []kind{
	{"kill", kill}, {"disk", fullDisk}, {"damage", damage}, {"pause", pause}, {"registry", faultyRegistry}, {"hostile", hostile}, {"secret", secrets},
}

// verdict is what came of a trial.
type verdict struct {
	outcome outcome
	why     string
}

type outcome int

const (
	right outcome = iota
	refused
	skipped
	wrong
)

func (o outcome) String() string { return [...]string{"right", "refused", "skipped", "wrong"}[o] }

func isWrong(format string, args ...any) verdict { return verdict{wrong, fmt.Sprintf(format, args...)} }

func main() {
	log.SetFlags(0)
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano())%1_000_000, "number that all trials are made from")
	number := flag.Int("n", 20, "trials of each kind")
	chosen := flag.String("kind", "", "regular expression: only kinds whose name it matches")
	only := flag.Int("trial", -1, "only the trial of this number")
	verbose := flag.Bool("v", false, "print all trials and not those alone that are wrong")
	flag.Parse()
	match, err := regexp.Compile(*chosen)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if status, ran := inNamespace(ctx); ran {
		os.Exit(status)
	}
	fmt.Printf("seed %d, %d trials of each kind\n", *seed, *number)
	l, err := newLab(ctx)
	if err != nil {
		log.Fatal(err)
	}
	counts := map[string]*[4]int{}
	for _, k := range kinds {
		if !match.MatchString(k.name) {
			continue
		}
		counts[k.name] = new([4]int)
		l.trials(k, *seed, *number, *only, func(n int, v verdict) {
			counts[k.name][v.outcome]++
			if v.outcome >= skipped || *verbose {
				fmt.Printf("%s %d: %s: %s\n", k.name, n, v.outcome, v.why)
			}
		})
	}
	total := summary(counts)
	if err := l.close(); err != nil {
		log.Print(err)
	}
	if total > 0 || ctx.Err() != nil {
		os.Exit(1)
	}
}

// trials runs the trials of a kind, several at a time.
func (l *lab) trials(k kind, seed uint64, number, only int, done func(int, verdict)) {
	var mu sync.Mutex
	var group sync.WaitGroup
	slots := make(chan struct{}, max(1, runtime.GOMAXPROCS(0)))
	for n := range number {
		if only >= 0 && n != only || l.ctx.Err() != nil {
			continue
		}
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			name := fnv.New64a()
			fmt.Fprint(name, k.name, n)
			v := l.trial(k, n, rand.New(rand.NewPCG(seed, name.Sum64())))
			mu.Lock()
			defer mu.Unlock()
			if l.ctx.Err() == nil {
				done(n, v)
			}
		})
	}
	group.Wait()
}

// summary prints the table and returns how many trials are wrong.
func summary(counts map[string]*[4]int) (bad int) {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "kind\ttrials\tright\trefused\tskipped\twrong\t")
	for _, k := range kinds {
		if c := counts[k.name]; c != nil {
			fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t\n", k.name, c[right]+c[refused]+c[skipped]+c[wrong], c[right], c[refused], c[skipped], c[wrong])
			bad += c[wrong]
		}
	}
	_ = table.Flush()
	return bad
}
