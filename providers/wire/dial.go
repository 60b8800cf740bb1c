package wire

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// gate keeps an address that a source named from being one that only this machine
// can reach. What a host's name resolves to is judged at each connect, so that
// neither a literal address nor a name gets around it.
//
// Home and the proxies are the operator's choice and may be anywhere. Where home
// itself is not a public address, its content network may be private too; the
// link-local range, where clouds keep credentials, never is.
type gate struct {
	home    string      // host name
	private atomic.Bool // home was met at an address that is not public
	proxies sync.Map    // host names
	dialer  net.Dialer
}

func (g *gate) proxy(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if u != nil {
		g.proxies.Store(strings.ToLower(u.Hostname()), true)
	}
	return u, err
}

func (g *gate) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	host = strings.ToLower(host)
	if _, ok := g.proxies.Load(host); ok {
		return g.dialer.DialContext(ctx, network, addr)
	}
	d := g.dialer
	d.Control = func(_, address string, _ syscall.RawConn) error {
		ip, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if host == g.home {
			if !public(ip.Addr()) {
				g.private.Store(true)
			}
			return nil
		}
		return g.judge(ip.Addr())
	}
	return d.DialContext(ctx, network, addr)
}

func (g *gate) judge(ip netip.Addr) error {
	ip = ip.Unmap()
	if public(ip) || g.private.Load() && !ip.IsLinkLocalUnicast() && !ip.IsMulticast() && !ip.IsUnspecified() {
		return nil
	}
	return &RefusedAddr{ip}
}

// carrierNAT is not public either, but netip does not call it private (RFC 6598).
var carrierNAT = netip.MustParsePrefix("100.64.0.0/10")

func public(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !carrierNAT.Contains(ip)
}

// RefusedAddr says that what a source named led to an address that it may not.
type RefusedAddr struct{ ip netip.Addr }

func (r *RefusedAddr) Error() string {
	return fmt.Sprintf("led to %s, which is not a public address while the endpoint is", r.ip)
}
