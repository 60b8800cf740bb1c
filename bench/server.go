package main

import (
	"encoding/xml"
	"fmt"
	"hash/fnv"
	iofs "io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// store serves the files of a folder as the objects of one bucket: GET with ranges
// and conditions, HEAD, and ListObjectsV2, to anybody. It is as little work as a
// source can be: the kernel sends the bytes from the file. The folder is read once.
type store struct {
	root    string
	objects []object // by key
}

// object is one key of the bucket.
type object struct {
	key  string
	size int64
	time time.Time
}

// etag differs for each key, as if the contents did.
func (o object) etag() string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", o.key, o.size)
	return fmt.Sprintf("%q", strconv.FormatUint(h.Sum64(), 16))
}

func newStore(root string) (*store, error) {
	s := &store{root: root}
	err := filepath.WalkDir(root, func(path string, d iofs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		key, err := filepath.Rel(root, path)
		s.objects = append(s.objects, object{key, fi.Size(), fi.ModTime()})
		return err
	})
	slices.SortFunc(s.objects, func(a, b object) int { return strings.Compare(a.key, b.key) })
	return s, err
}

// at is where key is, or would be.
func (s *store) at(key string) (int, bool) {
	return slices.BinarySearchFunc(s.objects, key, func(o object, key string) int { return strings.Compare(o.key, key) })
}

// ServeHTTP implements [http.Handler].
func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowed")
	case name != bucket:
		refuse(w, http.StatusNotFound, "NoSuchBucket")
	case key == "":
		s.list(w, r.URL.Query())
	default:
		s.send(w, r, key)
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "%s<Error><Code>%s</Code></Error>", xml.Header, code)
}

func (s *store) send(w http.ResponseWriter, r *http.Request, key string) {
	i, ok := s.at(key)
	if !ok {
		refuse(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	f, err := os.Open(filepath.Join(s.root, key))
	if err != nil {
		refuse(w, http.StatusInternalServerError, "InternalError")
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "binary/octet-stream") // or the beginning is read to guess it
	w.Header().Set("Etag", s.objects[i].etag())
	http.ServeContent(w, r, "", s.objects[i].time, f)
}

// listing is the answer to ListObjectsV2.
type listing struct {
	XMLName        xml.Name `xml:"ListBucketResult"`
	Name           string
	Prefix         string
	KeyCount       int
	MaxKeys        int
	IsTruncated    bool
	EncodingType   string     `xml:",omitempty"`
	Token          string     `xml:"NextContinuationToken,omitempty"`
	Contents       []content  `xml:",omitempty"`
	CommonPrefixes []prefixed `xml:",omitempty"`
}

type content struct {
	Key, LastModified, ETag string
	Size                    int64
	StorageClass            string
}

type prefixed struct{ Prefix string }

const pageKeys = 1000

// list answers one page. Its token is the first key of the next.
func (s *store) list(w http.ResponseWriter, q url.Values) {
	prefix, delimiter := q.Get("prefix"), q.Get("delimiter")
	encode := func(k string) string { return k }
	if q.Get("encoding-type") == "url" {
		encode = url.QueryEscape
	}
	out := listing{Name: bucket, Prefix: encode(prefix), MaxKeys: pageKeys, EncodingType: q.Get("encoding-type")}
	if n, err := strconv.Atoi(q.Get("max-keys")); err == nil && n >= 0 && n < pageKeys {
		out.MaxKeys = n
	}
	i, _ := s.at(max(prefix, q.Get("continuation-token")))
	for ; i < len(s.objects) && strings.HasPrefix(s.objects[i].key, prefix); i++ {
		o := s.objects[i]
		if out.KeyCount == out.MaxKeys {
			out.IsTruncated, out.Token = true, o.key
			break
		}
		out.KeyCount++
		if dir, _, ok := strings.Cut(o.key[len(prefix):], delimiter); delimiter != "" && ok {
			dir = prefix + dir + delimiter
			out.CommonPrefixes = append(out.CommonPrefixes, prefixed{encode(dir)})
			for i+1 < len(s.objects) && strings.HasPrefix(s.objects[i+1].key, dir) {
				i++
			}
			continue
		}
		out.Contents = append(out.Contents, content{encode(o.key), o.time.UTC().Format(time.RFC3339), o.etag(), o.size, "STANDARD"})
	}
	w.Header().Set("Content-Type", "application/xml")
	fmt.Fprint(w, xml.Header)
	// A client that has gone away needs no answer.
	_ = xml.NewEncoder(w).Encode(out)
}
