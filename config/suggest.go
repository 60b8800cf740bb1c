package config

import (
	"fmt"
	"strings"
)

// suggest says what was probably meant by the unknown key name in the group
// parent: the nearest of siblings, else the same word in another group, else
// what there is.
func suggest(name, parent string, siblings, roots []string) string {
	if best := nearest(name, siblings); best != "" {
		return fmt.Sprintf("did you mean %s?", join(parent, best))
	}
	for _, path := range roots {
		if last := path[strings.LastIndexByte(path, '.')+1:]; last == name {
			return fmt.Sprintf("did you mean %s?", path)
		}
	}
	if len(siblings) == 0 {
		return "there are no keys here"
	}
	return "the keys here are " + strings.Join(siblings, ", ")
}

// nearest returns the candidate that is a few typing errors away from name, or
// that begins with it ("token" for "token_file").
func nearest(name string, candidates []string) string {
	best, least := "", max(2, len(name)/3)+1
	for _, c := range candidates {
		d := distance(fold(name), fold(c))
		if len(name) > 2 && strings.HasPrefix(c, name+"_") {
			d = min(d, 1)
		}
		if d < least && d < len(c) {
			best, least = c, d
		}
	}
	return best
}

// fold takes maxSize, max-size and max_size for one spelling.
func fold(s string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(s))
}

// distance is the number of single-byte edits between a and b (Levenshtein).
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
