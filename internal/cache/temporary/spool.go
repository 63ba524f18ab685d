package temporary

import (
	"errors"
	"io"
	"os"
)

// Spool is a temporary file for one thing after another, made when it is needed.
type Spool struct{ *Part }

// Reset makes the file empty.
func (s *Spool) Reset() (err error) {
	if s.Part == nil {
		s.Part, err = NewPart(os.TempDir())
		return err
	}
	_, err = s.Seek(0, io.SeekStart)
	return errors.Join(err, s.Truncate(0))
}

// Close removes the file.
func (s *Spool) Close() error {
	if s.Part == nil {
		return nil
	}
	return s.Discard()
}
