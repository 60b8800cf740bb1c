package blockcache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"log/slog"
	"math/bits"
	"strconv"
	"strings"
)

// BlockSize is the unit of presence and of checksums, in bytes.
const BlockSize = 1 << 20

// groupBlocks is how many blocks share one index record.
const groupBlocks = 256

// maxSize bounds an object: 8 EiB overflows, and nothing real comes near this.
const maxSize = 1 << 50

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }

// Key names a content object.
type Key struct {
	// Source is who sends the bytes and what pins them: origin, path and
	// validator. It holds no secret.
	Source string
	// Digest is the digest that the source states, written algorithm:hex; where
	// there is one it names the content for all sources.
	Digest string
	// Size is in bytes.
	Size int64
}

// label is the source for people.
func (k Key) label() string { return strings.ReplaceAll(k.Source, "\x00", " ") }

// ID is the name of an object in the cache. Nothing a source says becomes part
// of a path but through this hash.
type ID [sha256.Size]byte

func (id ID) String() string { return hex.EncodeToString(id[:]) }

// LogValue has the log write what the data file is called.
func (id ID) LogValue() slog.Value { return slog.StringValue(id.String()) }

func hashID(parts ...string) ID {
	h := sha256.New()
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return ID(h.Sum(nil))
}

// partial is the ID while the object is incomplete.
func (k Key) partial() ID {
	return hashID("partial", k.Source, k.Digest, strconv.FormatInt(k.Size, 10))
}

// sealed is the ID once it is complete and checked.
func (k Key) sealed() ID {
	if !names(k.Digest) {
		return k.partial()
	}
	return hashID("sealed", k.Digest, strconv.FormatInt(k.Size, 10))
}

func blocksOf(size int64) int64 { return (size + BlockSize - 1) / BlockSize }

// blockLen is the length of block i of an object of this size.
func blockLen(size, i int64) int {
	return int(min(BlockSize, size-i*BlockSize))
}

// bitmap is a set of small numbers.
type bitmap []uint64

func newBitmap(n int64) bitmap { return make(bitmap, (n+63)/64) }

func (b bitmap) has(i int64) bool { return b[i/64]&(1<<(i%64)) != 0 }
func (b bitmap) set(i int64)      { b[i/64] |= 1 << (i % 64) }
func (b bitmap) unset(i int64)    { b[i/64] &^= 1 << (i % 64) }

func (b bitmap) count() (n int64) {
	for _, w := range b {
		n += int64(bits.OnesCount64(w))
	}
	return n
}

// group is the index record of up to groupBlocks neighbouring blocks. Its layout
// is a table in FORMAT.md.
type group struct {
	ID    ID
	Gen   uint64
	Index uint32
	Have  [groupBlocks / 64]uint64
	CRC   [groupBlocks]uint32
}

const groupLen = 1 + len(ID{}) + 8 + 4 + groupBlocks/8 + groupBlocks*4 + 4

var errRecord = errors.New("index record is not valid")

func (g *group) marshal() []byte {
	p := make([]byte, 0, groupLen)
	p = append(p, formatVersion)
	p = append(p, g.ID[:]...)
	p = binary.LittleEndian.AppendUint64(p, g.Gen)
	p = binary.LittleEndian.AppendUint32(p, g.Index)
	for _, w := range g.Have {
		p = binary.LittleEndian.AppendUint64(p, w)
	}
	for _, c := range g.CRC {
		p = binary.LittleEndian.AppendUint32(p, c)
	}
	return binary.LittleEndian.AppendUint32(p, checksum(p))
}

func (g *group) unmarshal(p []byte) error {
	if len(p) != groupLen || p[0] != formatVersion {
		return errRecord
	}
	body, sum := p[:groupLen-4], binary.LittleEndian.Uint32(p[groupLen-4:])
	if checksum(body) != sum {
		return errRecord
	}
	body = body[1:]
	body = body[copy(g.ID[:], body):]
	g.Gen = binary.LittleEndian.Uint64(body)
	g.Index = binary.LittleEndian.Uint32(body[8:])
	body = body[12:]
	for i := range g.Have {
		g.Have[i] = binary.LittleEndian.Uint64(body[i*8:])
	}
	body = body[groupBlocks/8:]
	for i := range g.CRC {
		g.CRC[i] = binary.LittleEndian.Uint32(body[i*4:])
	}
	return nil
}

// record is the index record of an object. Its layout is a table in FORMAT.md.
type record struct {
	ID       ID
	Gen      uint64 // ties the group records to this life of the data file
	Size     int64
	Stored   int64 // bytes of blocks present when last written
	LastUsed int64 // unix nanoseconds
	Sealed   bool
	Durable  bool // data was synced after sealing
	Seal     stamp
	Boot     [16]byte // the boot in which it was sealed
	Digest   string
	Source   string
}

// stamp identifies a file and its last change of content or attributes.
type stamp struct {
	Ino   uint64
	Size  int64
	Ctime int64 // nanoseconds
}

const (
	flagSealed  = 1 << 0
	flagDurable = 1 << 1
)

func (r *record) marshal() []byte {
	p := make([]byte, 0, 160+len(r.Digest)+len(r.Source))
	p = append(p, formatVersion)
	p = append(p, r.ID[:]...)
	var flags byte
	if r.Sealed {
		flags |= flagSealed
	}
	if r.Durable {
		flags |= flagDurable
	}
	p = append(p, flags)
	for _, v := range []uint64{r.Gen, uint64(r.Size), uint64(r.Stored), uint64(r.LastUsed), r.Seal.Ino, uint64(r.Seal.Size), uint64(r.Seal.Ctime)} {
		p = binary.LittleEndian.AppendUint64(p, v)
	}
	p = append(p, r.Boot[:]...)
	for _, s := range []string{r.Digest, r.Source} {
		p = binary.LittleEndian.AppendUint16(p, uint16(min(len(s), 1<<16-1)))
		p = append(p, s[:min(len(s), 1<<16-1)]...)
	}
	return binary.LittleEndian.AppendUint32(p, checksum(p))
}

func (r *record) unmarshal(p []byte) error {
	const fixed = 1 + len(ID{}) + 1 + 7*8 + 16
	if len(p) < fixed+4+4 || p[0] != formatVersion {
		return errRecord
	}
	body, sum := p[:len(p)-4], binary.LittleEndian.Uint32(p[len(p)-4:])
	if checksum(body) != sum {
		return errRecord
	}
	body = body[1:]
	body = body[copy(r.ID[:], body):]
	flags := body[0]
	r.Sealed, r.Durable = flags&flagSealed != 0, flags&flagDurable != 0
	var v [7]uint64
	for i := range v {
		v[i] = binary.LittleEndian.Uint64(body[1+i*8:])
	}
	r.Gen, r.Size, r.Stored, r.LastUsed = v[0], int64(v[1]), int64(v[2]), int64(v[3])
	r.Seal = stamp{Ino: v[4], Size: int64(v[5]), Ctime: int64(v[6])}
	body = body[1+7*8:]
	body = body[copy(r.Boot[:], body):]
	for _, s := range []*string{&r.Digest, &r.Source} {
		if len(body) < 2 || len(body) < 2+int(binary.LittleEndian.Uint16(body)) {
			return errRecord
		}
		n := int(binary.LittleEndian.Uint16(body))
		*s, body = string(body[2:2+n]), body[2+n:]
	}
	if len(body) != 0 || r.Size < 0 || r.Size > maxSize {
		return errRecord
	}
	return nil
}
