package slipway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/console"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/size"
)

// budget is one limit of the setting size-limit.
type budget struct {
	of    string // one of budgetKinds
	bytes int64
}

// budgetKinds are what can be limited, the default first: the image as it is pulled, as it is on a node's disk, and its programs together.
var budgetKinds = []string{"compressed", "unpacked", "program"}

// byteUnits are decimal, as those of all sizes that Slipway prints, and binary.
var byteUnits = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}}

// budgets are the limits of the image.
func (i *Image) budgets() ([]budget, error) {
	var all []budget
	var faults fault.Faults
	for _, value := range i.Settings.SizeLimit {
		b := budget{of: budgetKinds[0]}
		text := value
		if of, rest, ok := strings.Cut(value, ":"); ok {
			b.of, text = of, rest
		}
		factor := int64(0)
		for _, unit := range byteUnits {
			if number, ok := strings.CutSuffix(text, unit.name); ok {
				text, factor = strings.TrimSpace(number), unit.bytes
				break
			}
		}
		number, err := strconv.ParseFloat(text, 64)
		switch {
		case !slices.Contains(budgetKinds, b.of):
			faults.Add("size-limit", value, "no such size", "choose from "+strings.Join(budgetKinds, ", ")+", as in unpacked:40MB")
		case err != nil || factor == 0 || !(number > 0) || number > 1e12:
			faults.Add("size-limit", value, "no size", "write it like 12MB or unpacked:40MiB")
		default:
			b.bytes = int64(number * float64(factor))
			all = append(all, b)
		}
	}
	return all, i.Settings.Located(faults.Err())
}

// checkBudgets fails if an image is bigger than its settings permit.
func (j *job) checkBudgets(ctx context.Context) error {
	if len(j.image.Settings.SizeLimit) == 0 {
		return nil
	}
	limits, err := j.image.budgets()
	if err != nil {
		return err
	}
	var errs []error
	for _, img := range j.built.Images {
		compressed, unpacked, err := sizes(img)
		if err != nil {
			return err
		}
		over := false
		for _, limit := range limits {
			is := map[string]int64{"compressed": compressed, "unpacked": unpacked, "program": img.BinarySize}[limit.of]
			if is > limit.bytes {
				over = true
				errs = append(errs, fmt.Errorf("checking the size for %s: %s is %s, %s more than the size-limit of %s",
					img.Platform, limit.of, console.Size(is), console.Size(is-limit.bytes), console.Size(limit.bytes)))
			}
		}
		if over {
			errs = append(errs, errors.New(j.growth(ctx, img)))
		}
	}
	return errors.Join(errs...)
}

// growthsNamed is how many growths an error names.
const growthsNamed = 3

// growth says what of an image grew most since the published one of the same tag, or why nobody knows.
func (j *job) growth(ctx context.Context, img build.Image) string {
	target, _, err := targetOf(j.image.Settings, j.Name)
	if err != nil || target.Repository == "" || len(target.Tags) == 0 {
		return "what grew is not known: set repository, to compare with the image that is published there"
	}
	published := target.Repository + ":" + target.Tags[0]
	before, err := j.published(ctx, published, img.Platform)
	if err != nil {
		return fmt.Sprintf("what grew since %s is not known: %v", published, err)
	}
	after, err := size.Of(ctx, img)
	if err != nil {
		return fmt.Sprintf("what grew since %s is not known: %v", published, err)
	}
	var grown []size.Change
	for _, d := range size.Compare(&SizeReport{Platforms: []*size.Platform{before}}, &SizeReport{Platforms: []*size.Platform{after}}) {
		for _, c := range d.Changes {
			// A program's bytes are those of its modules.
			isPart := c.Level == size.LevelModule || c.Level == size.LevelInstalled || c.Level == size.LevelFile && !isProgram(after, c.Name)
			if isPart && c.Growth() > 0 {
				grown = append(grown, c)
			}
		}
	}
	if len(grown) == 0 {
		return "nothing in it has grown since " + published
	}
	slices.SortStableFunc(grown, func(x, y size.Change) int { return cmp.Compare(y.Growth(), x.Growth()) })
	var named []string
	for _, c := range grown[:min(growthsNamed, len(grown))] {
		named = append(named, fmt.Sprintf("%s %s +%s", c.Level, c.Name, console.Size(c.Growth())))
	}
	return "what grew most since " + published + ": " + strings.Join(named, ", ")
}

func isProgram(p *size.Platform, path string) bool {
	return slices.ContainsFunc(p.Programs, func(one *size.Program) bool { return one.Path == path })
}

// published measures an image in a registry.
func (j *job) published(ctx context.Context, ref, platform string) (*size.Platform, error) {
	found, err := j.Bases.Resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	parsed, err := v1.ParsePlatform(platform)
	if err != nil {
		return nil, err
	}
	img, err := found.Image(*parsed)
	if err != nil {
		return nil, err
	}
	return size.Of(ctx, img)
}
