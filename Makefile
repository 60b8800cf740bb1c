# modelfs: what a person does with the tree. `make` alone lists it.

GO       ?= go
TOOLS    := $(CURDIR)/bin/tools
GOPATH   := $(shell $(GO) env GOPATH 2>/dev/null)
export PATH := $(TOOLS):$(PATH):$(GOPATH)/bin

# One version of each tool, so that two machines find the same things.
GOLANGCI_LINT_VERSION := v2.15.0
# The official clients that tests compare with.
PYTHON_PACKAGES := huggingface_hub==2.4.0

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null)
LDFLAGS := -X main.version=$(VERSION) -X main.commit=$(COMMIT)

PREFIX    ?= /usr/local
TESTFLAGS ?=
FUZZTIME  ?= 30s

.PHONY: help build run test check format tidy vet lint readme acceptance bench fuzz install clean

help: ## list these targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

build: ## build bin/modelfs
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/modelfs ./cmd/modelfs

run: ## build, mount ./models, show what to try; Ctrl-C unmounts
	@.ci/need fusermount3=fuse3
	@$(MAKE) --no-print-directory build
	@hack/run models

test: ## run every test with the race detector, after installing what they need
	@.ci/need fusermount3=fuse3 gcc=gcc /usr/include/stdio.h=libc6-dev git=git \
		/usr/sbin/nginx=nginx-light /usr/sbin/apache2=apache2-bin python3=python3
	@mkdir -p .cache && echo '*' >.cache/.gitignore
	MODELFS_REQUIRE_ALL=1 MODELFS_PYTHON="$$(.ci/python $(CURDIR)/.cache/python $(PYTHON_PACKAGES))" \
		$(GO) test -race $(TESTFLAGS) ./... ./testdata/hub/...

check: build format tidy vet lint readme test ## everything that has to hold before a commit

format:
	@files=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$files" ]; then echo "not formatted, run gofmt -w:"; echo "$$files"; exit 1; fi

tidy:
	$(GO) mod tidy -diff

vet:
	$(GO) vet ./... ./testdata/hub/...

# Style, import rules and package docs: see .golangci.yml.
lint: $(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION)
	$< run ./... ./testdata/hub/...

$(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION):
	@.ci/tool golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint $(GOLANGCI_LINT_VERSION) $@

readme:
	@.ci/readme

acceptance: build ## run real clients over a mount and compare every byte
	./acceptance/run.sh

bench: build ## measure, and print the table that docs/performance.md explains
	$(GO) run ./bench

fuzz: ## fuzz each parser of outside bytes for FUZZTIME (30s)
	@.ci/fuzz $(FUZZTIME)

install: build ## install modelfs into PREFIX/bin (/usr/local)
	install -D -m 0755 bin/modelfs $(DESTDIR)$(PREFIX)/bin/modelfs

clean: ## unmount ./models and remove what was built and cached
	@if [ -x bin/modelfs ] && grep -qs ' $(CURDIR)/models .*- fuse.modelfs ' /proc/self/mountinfo; then bin/modelfs umount models; fi
	rm -rf bin .cache
	@if [ -d models ]; then rmdir models; fi
