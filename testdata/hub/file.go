package hub

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path"
	"strings"
)

// Storage says where a file's content lives.
type Storage int

// Auto decides by name and size, as the service's .gitattributes do.
const (
	Auto Storage = iota
	Git
	LFS
)

// lfsThreshold is the size from which files go to LFS whatever their name; the
// service refuses larger ones in git.
const lfsThreshold = 10 << 20

// lfsNames are the endings that a new repository's .gitattributes send to LFS.
var lfsNames = map[string]bool{
	".safetensors": true, ".bin": true, ".gguf": true, ".onnx": true, ".pt": true,
	".pth": true, ".h5": true, ".msgpack": true, ".model": true, ".parquet": true,
}

// A File is one file of a push.
type File struct {
	// Content is read at any offset, by many requests at once.
	Content io.ReaderAt
	Size    int64
	Storage Storage
	// SHA256 spares a push to LFS the reading of the whole content. It is
	// believed.
	SHA256 string
}

// Bytes is a file held in memory.
func Bytes(b []byte) File { return File{Content: bytes.NewReader(b), Size: int64(len(b))} }

// Text is a file held in memory.
func Text(s string) File { return File{Content: strings.NewReader(s), Size: int64(len(s))} }

// In returns f stored as said.
func (f File) In(s Storage) File {
	f.Storage = s
	return f
}

func (f File) inLFS(name string) bool {
	switch f.Storage {
	case Git:
		return false
	case LFS:
		return true
	}
	return lfsNames[path.Ext(name)] || f.Size >= lfsThreshold
}

// Synthetic is a file of any size that takes no memory: each of its eight byte
// words is a hash of seed and the word's offset.
func Synthetic(seed uint64, size int64) File { return File{Content: synthetic{seed, size}, Size: size} }

type synthetic struct {
	seed uint64
	size int64
}

// ReadAt fills p with the words at off.
func (s synthetic) ReadAt(p []byte, off int64) (int, error) {
	if off >= s.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), s.size-off))
	p = p[:n]
	var word [8]byte
	for skip := off % 8; len(p) > 0; skip = 0 {
		if skip == 0 && len(p) >= 8 {
			binary.LittleEndian.PutUint64(p, s.word(off))
			p, off = p[8:], off+8
			continue
		}
		binary.LittleEndian.PutUint64(word[:], s.word(off-skip))
		c := copy(p, word[skip:])
		p, off = p[c:], off+int64(c)
	}
	if off == s.size {
		return n, io.EOF
	}
	return n, nil
}

// word is the splitmix64 mix of one word's number.
func (s synthetic) word(off int64) uint64 {
	z := s.seed + uint64(off/8+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// onDisk reads a file that is opened anew for every read, so that a directory
// of any number of files holds no descriptor.
type onDisk string

// ReadAt reads from the file as it is now.
func (p onDisk) ReadAt(b []byte, off int64) (int, error) {
	f, err := os.Open(string(p))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.ReadAt(b, off)
}
