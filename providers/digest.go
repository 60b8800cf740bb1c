package providers

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// Digest is the hash of a file's whole content, written algorithm:hex. The
// algorithms are sha256, md5, sha1, git (the sha1 of git's blob header and the
// content) and crc64nvme, which proves content but does not name it.
type Digest string

var digestSizes = map[string]int{"sha256": 32, "md5": 16, "sha1": 20, "git": 20, "crc64nvme": 8}

// NewDigest makes a digest from lower or upper case hex; it is empty if hex is
// not of the algorithm's length.
func NewDigest(algorithm, hexsum string) Digest {
	sum, err := hex.DecodeString(hexsum)
	if err != nil || len(sum) == 0 || len(sum) != digestSizes[algorithm] {
		return ""
	}
	return Digest(algorithm + ":" + hex.EncodeToString(sum))
}

// Algorithm returns the part before the colon.
func (d Digest) Algorithm() string {
	a, _, _ := strings.Cut(string(d), ":")
	return a
}

// Hex returns the part after the colon.
func (d Digest) Hex() string {
	_, h, _ := strings.Cut(string(d), ":")
	return h
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
