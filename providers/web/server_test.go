package web

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"modelfs/providers"
)

// counterparts are real web servers, and what the folder that they show is listed by.
var counterparts = map[string]struct {
	index string
	start func(t *testing.T, root string) counterpart
}{
	"nginx":                  {indexNone, startNginx},
	"apache":                 {indexNone, startApache},
	"python":                 {indexNone, startPython},
	"nginx with SHA256SUMS":  {indexSums, startNginx},
	"apache with index.json": {indexJSON, startApache},
}

func newProvider(t *testing.T, folder string) providers.Provider {
	t.Helper()
	p, err := New(providers.Env{}, Config{Sites: map[string]Site{"models": {URL: folder}}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A counterpart is a real web server over a directory.
type counterpart struct {
	url  string
	stop func()
}

// tool finds a program. Where every test has to run its absence is a failure.
func tool(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} { // not on every user's path
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" || os.Getenv("MODELFS_REQUIRE_ALL") != "" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// serve starts a command that has to listen at addr.
func serve(t *testing.T, addr string, cmd *exec.Cmd) counterpart {
	t.Helper()
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // killed: it has no other end
	}()
	stop := func() {
		_ = cmd.Process.Kill()
		<-exited
	}
	t.Cleanup(stop)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return counterpart{"http://" + addr + "/", stop}
		}
		select {
		case <-exited:
			t.Fatalf("%s ended: %s", cmd.Path, &log)
		default:
		}
		if time.Now().After(end) {
			stop()
			t.Fatalf("%s does not listen: %s", cmd.Path, &log)
		}
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func startNginx(t *testing.T, root string) counterpart {
	t.Helper()
	dir, addr := t.TempDir(), freeAddr(t)
	conf := fmt.Sprintf(`
daemon off; master_process off; pid nginx.pid;
events { worker_connections 256; }
http {
	access_log off; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
	server { listen %s; location / { root %s; autoindex on; } }
}`, addr, root)
	write(t, filepath.Join(dir, "nginx.conf"), conf)
	return serve(t, addr, exec.CommandContext(t.Context(), tool(t, "nginx"), "-p", dir, "-c", "nginx.conf", "-e", "stderr"))
}

func startApache(t *testing.T, root string) counterpart {
	t.Helper()
	dir, addr := t.TempDir(), freeAddr(t)
	// As root it serves as somebody else, to whom a test's directories are closed.
	for _, d := range []string{dir, root} {
		if err := os.Chmod(filepath.Dir(d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var modules strings.Builder
	for _, m := range []string{"mpm_event", "authz_core", "dir", "autoindex", "alias"} {
		fmt.Fprintf(&modules, "LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", m, m)
	}
	conf := fmt.Sprintf(`%s
ServerName localhost
ServerRoot %s
Listen %s
PidFile httpd.pid
User nobody
ErrorLog /dev/stderr
DocumentRoot %s
<Directory />
	Options Indexes FollowSymLinks
	IndexOptions FancyIndexing NameWidth=*
	Require all granted
</Directory>`, &modules, dir, addr, root)
	write(t, filepath.Join(dir, "httpd.conf"), conf)
	return serve(t, addr, exec.CommandContext(t.Context(), tool(t, "apache2"), "-X", "-f", filepath.Join(dir, "httpd.conf")))
}

func startPython(t *testing.T, root string) counterpart {
	t.Helper()
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	return serve(t, addr, exec.CommandContext(t.Context(), tool(t, "python3"), "-u", "-m", "http.server", "-b", "127.0.0.1", "-d", root, port))
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
