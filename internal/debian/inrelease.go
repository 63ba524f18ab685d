package debian

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"pault.ag/go/debian/control"
)

// inRelease is what a suite's signed file says. Source: https://wiki.debian.org/DebianRepository/Format
type inRelease struct {
	suite Suite
	date  time.Time
	// byHash says that files can be had by their digests, so that a mirror that is being updated does no harm.
	byHash bool
	// files are what is signed, by path below the suite's directory.
	files map[string]signedFile
}

type signedFile struct {
	digest string
	size   int64
}

// release fetches and verifies the InRelease of a suite.
func (a *Archive) release(ctx context.Context, keys openpgp.EntityList, suite Suite, notBefore time.Time) (*inRelease, error) {
	text, err := a.Document(ctx, current+suite.Archive+"/dists/"+suite.Name+"/InRelease", releaseLimit)
	if err != nil {
		return nil, err
	}
	signed, err := verify(keys, text)
	if err != nil {
		return nil, err
	}
	r, validUntil, err := parseRelease(suite, signed)
	if err != nil {
		return nil, err
	}
	switch {
	case r.date.Before(notBefore):
		return nil, fmt.Errorf("it is of %s, and the one of the lock of %s: the mirror is behind, or somebody has put an old one in its place (try again later, or choose another mirror)",
			r.date.Format(time.RFC3339), notBefore.Format(time.RFC3339))
	case !validUntil.IsZero() && time.Now().After(validUntil):
		return nil, fmt.Errorf("it was valid until %s: the mirror is behind, or this machine's clock is wrong (choose another mirror, or set the clock)", validUntil.Format(time.RFC3339))
	}
	return r, nil
}

// digests are those that a signature may be of.
var digests = []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}

// verify returns what of a text one of the keys has signed.
func verify(keys openpgp.EntityList, text []byte) ([]byte, error) {
	block, rest := clearsign.Decode(text)
	switch {
	case block == nil:
		return nil, errors.New("it is not signed")
	case len(bytes.TrimSpace(rest)) > 0 || !bytes.HasPrefix(text, []byte("-----BEGIN PGP SIGNED MESSAGE-----")):
		return nil, errors.New("there is something beside what is signed")
	}
	if _, _, err := openpgp.VerifyDetachedSignatureAndHash(keys, bytes.NewReader(block.Bytes), block.ArmoredSignature.Body, digests, nil); err != nil {
		return nil, fmt.Errorf("its signature does not hold: %w: it was tampered with, or the mirror has packages of somebody else than Debian", err)
	}
	return block.Plaintext, nil
}

func parseRelease(suite Suite, text []byte) (r *inRelease, validUntil time.Time, err error) {
	paragraphs, err := control.NewParagraphReader(bytes.NewReader(text), nil)
	if err != nil {
		return nil, validUntil, err
	}
	paragraph, err := paragraphs.Next()
	if err != nil {
		return nil, validUntil, err
	}
	fields := paragraph.Values
	if fields["Codename"] != suite.Name {
		return nil, validUntil, fmt.Errorf("it is for %q, and not for %s", fields["Codename"], suite.Name)
	}
	r = &inRelease{suite: suite, byHash: fields["Acquire-By-Hash"] == "yes", files: map[string]signedFile{}}
	if r.date, err = parseDate(fields["Date"]); err != nil {
		return nil, validUntil, err
	}
	if fields["Valid-Until"] != "" {
		if validUntil, err = parseDate(fields["Valid-Until"]); err != nil {
			return nil, validUntil, err
		}
	}
	for line := range strings.Lines(fields["SHA256"]) {
		parts := strings.Fields(line)
		if len(parts) == 0 {
			continue
		}
		size, err := strconv.ParseUint(parts[min(1, len(parts)-1)], 10, 62)
		if len(parts) != 3 || len(parts[0]) != 64 || err != nil {
			return nil, validUntil, fmt.Errorf("its list of files has the line %q", strings.TrimSpace(line))
		}
		r.files[parts[2]] = signedFile{parts[0], int64(size)}
	}
	return r, validUntil, nil
}

// parseDate reads a date of InRelease. Debian writes UTC where HTTP has GMT.
func parseDate(text string) (time.Time, error) {
	date, err := http.ParseTime(strings.Replace(text, "UTC", "GMT", 1))
	if err != nil {
		return time.Time{}, fmt.Errorf("it has the date %q", text)
	}
	return date.UTC(), nil
}
