package blockcache

import (
	"crypto/md5"  //nolint:gosec // a source's statement, not our choice
	"crypto/sha1" //nolint:gosec // likewise
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"

	"github.com/minio/crc64nvme"
)

// newHash returns the hash that checks a digest over size bytes, and the digest's
// hex; nil for an algorithm that is not known here.
func newHash(digest string, size int64) (h hash.Hash, want string) {
	algorithm, want, _ := strings.Cut(digest, ":")
	switch algorithm {
	case "sha256":
		h = sha256.New()
	case "md5":
		h = md5.New() //nolint:gosec // see above
	case "sha1":
		h = sha1.New() //nolint:gosec // see above
	case "git":
		h = sha1.New() //nolint:gosec // see above
		fmt.Fprintf(h, "blob %d\x00", size)
	case "crc64nvme":
		h = crc64nvme.New()
	}
	return h, want
}

// names reports whether equal digests of this kind mean equal content, so that
// the object may be shared between sources.
func names(digest string) bool {
	algorithm, _, _ := strings.Cut(digest, ":")
	switch algorithm {
	case "sha256", "md5", "sha1", "git":
		return true
	}
	return false
}

func sumHex(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
