package main

import (
	"fmt"
	"html"
	"image/color"
	"slices"
	"strings"
	"time"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/vt"
)

// Sizes in pixels, colours, and how long the last frame stays.
const (
	charWidth  = 8.0
	lineHeight = 18
	padding    = 14
	background = "#16181d"
	foreground = "#e6e6e6"
	rest       = 4 * time.Second
)

// A line is the content of an SVG text element.
type line string

// lineOf returns a line of the terminal, with an element for each piece that has a style.
func lineOf(terminal *vt.Emulator, y int) line {
	var b strings.Builder
	var text strings.Builder
	var style uv.Style
	flush := func() {
		if text.Len() == 0 {
			return
		}
		escaped := html.EscapeString(text.String())
		if attributes := attributesOf(style); attributes != "" && strings.TrimSpace(escaped) != "" {
			fmt.Fprintf(&b, "<tspan%s>%s</tspan>", attributes, escaped)
		} else {
			b.WriteString(escaped)
		}
		text.Reset()
	}
	for x := range terminal.Width() {
		cell := terminal.CellAt(x, y)
		if cell == nil || cell.Content == "" {
			text.WriteByte(' ')
			continue
		}
		if !cell.Style.Equal(&style) {
			flush()
			style = cell.Style
		}
		text.WriteString(cell.Content)
	}
	flush()
	return line(strings.TrimRight(b.String(), " "))
}

func attributesOf(style uv.Style) string {
	var b strings.Builder
	if style.Fg != nil {
		fmt.Fprintf(&b, ` fill="%s"`, hex(style.Fg))
	}
	if style.Attrs&uv.AttrBold != 0 {
		b.WriteString(` font-weight="bold"`)
	}
	if style.Attrs&uv.AttrFaint != 0 {
		b.WriteString(` opacity="0.7"`)
	}
	return b.String()
}

func hex(c color.Color) string {
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}

// stills returns what the frames show at n points of time, evenly apart from the first frame to the last, each for some seconds.
func stills(frames []frame, n int) []frame {
	chosen := make([]frame, n)
	for i := range chosen {
		at := frames[len(frames)-1].at * time.Duration(i) / time.Duration(n-1)
		later := slices.IndexFunc(frames, func(f frame) bool { return f.at > at })
		if later < 0 {
			later = len(frames)
		}
		chosen[i] = frame{time.Duration(i) * rest, frames[max(later-1, 0)].lines}
	}
	return chosen
}

// render returns the frames of commands as an image. They stand side by side, behind a window of one frame's size that shows one after the other. Who
// wants no motion sees the last.
func render(frames []frame, commands string) string {
	width, height := columns*charWidth+2*padding, float64(rows*lineHeight+2*padding)
	last := len(frames) - 1
	total := frames[last].at + rest
	var keyframes, film strings.Builder
	for i, f := range frames {
		fmt.Fprintf(&keyframes, "%.3f%%{transform:translateX(%gpx)}", 100*f.at.Seconds()/total.Seconds(), -float64(i)*width)
	}
	names := map[line]int{}
	var lines strings.Builder
	for i, f := range frames {
		for y, l := range f.lines {
			if l == "" {
				continue
			}
			if _, ok := names[l]; !ok {
				names[l] = len(names)
				fmt.Fprintf(&lines, "<text id=\"l%d\">%s</text>\n", names[l], l)
			}
			fmt.Fprintf(&film, "<use href=\"#l%d\" x=\"%g\" y=\"%d\"/>\n", names[l], float64(i)*width+padding, padding+(y+1)*lineHeight-5)
		}
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]g %[2]g" width="%[1]g" height="%[2]g" role="img">
<title>%[3]s</title>
<style>
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:%[4]s;white-space:pre}
.film{transform:translateX(%[5]gpx);animation:film %.1[6]fs steps(1,end) infinite}
@keyframes film{%[7]s}
@media (prefers-reduced-motion:reduce){.film{animation:none}}
</style>
<rect width="100%%" height="100%%" rx="8" fill="%[8]s"/>
<defs>
%[9]s</defs>
<g class="film">
%[10]s</g>
</svg>
`, width, height, "A session in a terminal: "+html.EscapeString(commands), foreground, -float64(last)*width,
		total.Seconds(), keyframes.String(), background, lines.String(), film.String())
}
