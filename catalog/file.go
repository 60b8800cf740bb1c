package catalog

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"modelfs/providers"
)

// temporary ends the name of a record that is being written.
const temporary = ".tmp"

// trailer is the last line of a record.
type trailer struct {
	Entries int `json:"entries"`
	// Sum is the sha256 of all lines before this one.
	Sum string `json:"sha256"`
}

// maxTrailer is more than a trailer takes.
const maxTrailer = 256

// readHeader reads what a record is about, and sees that its end is there.
func readHeader(name string) (h Header, size int64, err error) {
	f, err := os.Open(name)
	if err != nil {
		return h, 0, err
	}
	defer f.Close()
	if err := json.NewDecoder(bufio.NewReaderSize(f, 4096)).Decode(&h); err != nil {
		return h, 0, err
	}
	if h.Format != format {
		return h, 0, fmt.Errorf("format %d", h.Format)
	}
	fi, err := f.Stat()
	if err != nil {
		return h, 0, err
	}
	tail := make([]byte, min(fi.Size(), maxTrailer))
	if _, err := f.ReadAt(tail, fi.Size()-int64(len(tail))); err != nil {
		return h, 0, err
	}
	_, err = parseTrailer(lastLine(tail))
	return h, fi.Size(), err
}

// lastLine returns the last whole line of p; nothing if p ends within one.
func lastLine(p []byte) []byte {
	p, ok := bytes.CutSuffix(p, []byte("\n"))
	if !ok {
		return nil
	}
	return p[bytes.LastIndexByte(p, '\n')+1:]
}

// errTorn says that a record's end is missing.
var errTorn = errors.New("the record is torn")

func parseTrailer(line []byte) (t trailer, err error) {
	if err := json.Unmarshal(line, &t); err != nil || t.Sum == "" {
		return t, errTorn
	}
	return t, nil
}

// read reads a whole record, and fails if it is not as it was written.
func read(name string) (r Record, err error) {
	f, err := os.Open(name)
	if err != nil {
		return r, err
	}
	defer f.Close()
	lines := bufio.NewReaderSize(f, 64<<10)
	sum := sha256.New()
	head, err := lines.ReadBytes('\n')
	if err != nil {
		return r, errTorn
	}
	sum.Write(head)
	if err := json.Unmarshal(head, &r.Header); err != nil {
		return r, err
	}
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return r, errTorn
		}
		if _, err := lines.Peek(1); errors.Is(err, io.EOF) {
			return r, r.whole(line, sum)
		}
		sum.Write(line)
		var e providers.Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return r, err
		}
		r.Entries = append(r.Entries, e)
	}
}

// whole compares a record with its last line.
func (r *Record) whole(line []byte, sum hash.Hash) error {
	t, err := parseTrailer(line)
	switch {
	case err != nil:
		return err
	case t.Entries != len(r.Entries) || t.Sum != hex.EncodeToString(sum.Sum(nil)):
		return errors.New("the record does not match its checksum")
	}
	return nil
}

// write puts a record on disk under its key, in one step.
func write(dir, k string, r Record) (size int64, err error) {
	f, err := os.CreateTemp(dir, k+".*"+temporary)
	if err != nil {
		return 0, err
	}
	size, err = encode(f, r)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, k+suffix))
	}
	if err != nil {
		return 0, errors.Join(err, os.Remove(f.Name()))
	}
	return size, syncDir(dir)
}

func encode(f *os.File, r Record) (size int64, err error) {
	w := bufio.NewWriterSize(f, 64<<10)
	sum := sha256.New()
	enc := json.NewEncoder(io.MultiWriter(w, sum))
	if err := enc.Encode(r.Header); err != nil {
		return 0, err
	}
	for i := range r.Entries {
		if err := enc.Encode(&r.Entries[i]); err != nil {
			return 0, err
		}
	}
	t := trailer{len(r.Entries), hex.EncodeToString(sum.Sum(nil))}
	if err := errors.Join(json.NewEncoder(w).Encode(t), w.Flush()); err != nil {
		return 0, err
	}
	return f.Seek(0, io.SeekCurrent)
}

// syncDir makes a rename last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
