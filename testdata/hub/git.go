package hub

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// A blob is one file of a commit.
type blob struct {
	file   File
	oid    string // git's id of the content, or of the pointer of an LFS file
	sha256 string // of the content, for an LFS file
	ptr    int    // length of the pointer
}

// newBlob reads f once to name it.
func newBlob(name string, f File) (*blob, error) {
	content := io.NewSectionReader(f.Content, 0, f.Size)
	if !f.inLFS(name) {
		h := sha1.New()
		fmt.Fprintf(h, "blob %d\x00", f.Size)
		n, err := io.Copy(h, content)
		if err == nil && n != f.Size {
			err = io.ErrUnexpectedEOF
		}
		return &blob{file: f, oid: hex.EncodeToString(h.Sum(nil))}, err
	}
	b := &blob{file: f, sha256: f.SHA256}
	if b.sha256 == "" {
		h := sha256.New()
		if n, err := io.Copy(h, content); err != nil {
			return nil, err
		} else if n != f.Size {
			return nil, io.ErrUnexpectedEOF
		}
		b.sha256 = hex.EncodeToString(h.Sum(nil))
	}
	pointer := b.pointer()
	b.oid, b.ptr = object("blob", pointer), len(pointer)
	return b, nil
}

// pointer is the text that git holds for an LFS file.
func (b *blob) pointer() string {
	return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", b.sha256, b.file.Size)
}

func object(kind, content string) string {
	sum := sha1.Sum(fmt.Appendf(nil, "%s %d\x00%s", kind, len(content), content))
	return hex.EncodeToString(sum[:])
}

// A commit is one revision of a repository.
type commit struct {
	sha   string
	date  time.Time
	files map[string]*blob
	dirs  map[string]string // path → tree id
}

func newCommit(files map[string]*blob, parent string, date time.Time) *commit {
	c := &commit{date: date, files: files, dirs: map[string]string{}}
	root := c.tree("", slices.Sorted(maps.Keys(files)))
	var b strings.Builder
	fmt.Fprintf(&b, "tree %s\n", root)
	if parent != "" {
		fmt.Fprintf(&b, "parent %s\n", parent)
	}
	who := fmt.Sprintf("hub <hub@example.com> %d +0000", date.Unix())
	fmt.Fprintf(&b, "author %s\ncommitter %s\n\npush\n", who, who)
	c.sha = object("commit", b.String())
	return c
}

// tree returns git's id of the directory that holds paths, all below dir.
func (c *commit) tree(dir string, paths []string) string {
	type row struct{ mode, name, id string }
	var rows []row
	for i := 0; i < len(paths); {
		name, _, deeper := strings.Cut(strings.TrimPrefix(paths[i][len(dir):], "/"), "/")
		if !deeper {
			rows = append(rows, row{"100644", name, c.files[paths[i]].oid})
			i++
			continue
		}
		sub, end := path.Join(dir, name), i
		for end < len(paths) && strings.HasPrefix(paths[end], sub+"/") {
			end++
		}
		rows = append(rows, row{"40000", name, c.tree(sub, paths[i:end])})
		c.dirs[sub] = rows[len(rows)-1].id
		i = end
	}
	// Git sorts a directory as if its name ended in a slash.
	key := func(r row) string {
		if r.mode == "40000" {
			return r.name + "/"
		}
		return r.name
	}
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(key(a), key(b)) })
	var b strings.Builder
	for _, r := range rows {
		id, err := hex.DecodeString(r.id)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(&b, "%s %s\x00%s", r.mode, r.name, id)
	}
	return object("tree", b.String())
}
