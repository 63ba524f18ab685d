package progress

import (
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// redrawEvery is how often times and spinners move.
const redrawEvery = 100 * time.Millisecond

// terminal is the live view. Events only change what is to be shown, and never wait for the terminal: a program draws it
// anew ten times a second. At the end that view is taken away and written once more as ordinary text, since a view
// cannot be higher than the screen, and text can.
type terminal struct {
	w       io.Writer
	environ []string
	elapsed func() time.Duration
	colours colours

	program *tea.Program // from the first event on
	ended   chan error   // takes what program's Run returns
	quit    chan struct{}
	ticking sync.WaitGroup

	mu            sync.Mutex // guards all below from the goroutine that draws
	width, height int
	closing       bool
	notes         []string
	steps         []*stepView // in the order in which they are shown
	summary       *event
	many          bool
}

// every: the view is drawn ten times a second, whatever comes.
func (t *terminal) every() time.Duration { return 0 }

var _ tea.Model = (*terminal)(nil)

// stepView is what is known of a step.
type stepView struct {
	*step
	last  string // line that it printed, how far it is, or what came of it
	ended bool
	err   error
}

func newTerminal(w io.Writer, environ []string, elapsed func() time.Duration) *terminal {
	t := &terminal{w: w, environ: environ, elapsed: elapsed, ended: make(chan error, 1), quit: make(chan struct{})}
	// The size of a terminal that does not say. One that does, and most do, is asked by the program.
	t.width, t.height = 80, 24
	if getenv(environ, "NO_COLOR") == "" {
		t.colours = coloured
	}
	return t
}

func (t *terminal) show(e event) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.program == nil {
		t.start()
	}
	t.many = e.many
	switch e.kind {
	case start:
		t.steps = slices.Insert(t.steps, t.place(e.step.lane), &stepView{step: e.step})
	case output:
		if e.text != "" {
			t.find(e.step).last = e.text
		}
	case advance:
		t.find(e.step).last = e.step.far(e.took())
	case end:
		s := t.find(e.step)
		s.ended, s.last, s.err = true, e.step.result(e.took()), e.err
		if e.err != nil {
			s.last = e.step.far(e.took())
		}
	case note:
		t.notes = append(t.notes, e.text)
	case warning:
		t.notes = append(t.notes, t.colours.warn.Render("warning:")+" "+e.text)
	case summary:
		t.summary = &e
	}
	return nil
}

// place is where the next step of a lane goes: below the others of its lane. Lanes are in the order of their names, whichever begins
// first; the one that all platforms share has none, and is above the others.
func (t *terminal) place(lane string) int {
	for i, s := range t.steps {
		if s.lane > lane {
			return i
		}
	}
	return len(t.steps)
}

// find returns the view of a step that has begun.
func (t *terminal) find(s *step) *stepView {
	return t.steps[slices.IndexFunc(t.steps, func(v *stepView) bool { return v.step == s })]
}

// start lets the program draw. It takes neither input nor signals, so the terminal stays in its ordinary mode and Ctrl-C
// reaches this process as it always does.
func (t *terminal) start() {
	// The colours are those that every terminal has: finding more would start other programs.
	t.program = tea.NewProgram(t, tea.WithOutput(t.w), tea.WithInput(nil), tea.WithoutSignalHandler(),
		tea.WithEnvironment(t.environ), tea.WithColorProfile(colorprofile.ANSI), tea.WithWindowSize(t.width, t.height))
	go func() {
		_, err := t.program.Run()
		t.ended <- err
	}()
	t.ticking.Go(func() {
		ticker := time.NewTicker(redrawEvery)
		defer ticker.Stop()
		for {
			select {
			case <-t.quit:
				return
			case <-ticker.C:
				t.program.Send(redraw{})
			}
		}
	})
}

func (t *terminal) close() error {
	if t.program == nil {
		return nil
	}
	t.mu.Lock()
	t.closing = true // the program's last view is empty
	t.mu.Unlock()
	close(t.quit)
	t.program.Quit()
	err := <-t.ended
	t.ticking.Wait()
	if err != nil {
		return err
	}
	_, err = io.WriteString(t.w, t.text())
	return err
}

// redraw makes the program call View.
type redraw struct{}

// Init is that of a [tea.Model].
func (t *terminal) Init() tea.Cmd { return nil }

// Update takes note of the terminal's size. All else that a view depends on comes with show.
func (t *terminal) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if size, ok := msg.(tea.WindowSizeMsg); ok {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.width, t.height = size.Width, size.Height
	}
	return t, nil
}

// View is what the terminal is to show now.
func (t *terminal) View() tea.View {
	t.mu.Lock()
	defer t.mu.Unlock()
	// Modes that matter to input are left alone.
	view := tea.View{DisableBracketedPasteMode: true}
	if !t.closing {
		view.Content = strings.Join(t.frame(), "\n")
	}
	return view
}
