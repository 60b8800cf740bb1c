// Package wire is HTTP as modelfs speaks it with a source: to a [Client], one
// host is home, and every other one is a stranger.
//
// # Promises
//
//   - Credentials are added to requests that go to the origin of home (scheme, host
//     and port) and to no other. A redirect never carries them elsewhere, and never
//     leads from https to http.
//   - What a source names (a redirect, a link, an address in an answer) does not
//     reach what only this machine can reach: addresses are judged at each connect.
//   - A server that is silent is given up, before its answer and in the middle
//     of it. A body yields exactly the bytes that were asked for, or an error.
//   - No error repeats a URL's query, which may be a signature, or a credential.
//   - Errors wrap those of package providers: a transport that fails is
//     [providers.ErrUnavailable].
//
// What an answer's status means is the source's own business: a refusal is returned
// as the answer it is. Nothing is retried.
//
// # Terms
//
// home: the address that the operator configured. origin: scheme, host and port.
package wire
