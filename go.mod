module modelfs

go 1.26.8

require github.com/hanwen/go-fuse/v2 v2.12.1 // indirect
