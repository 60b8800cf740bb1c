// Package providertest holds what tests of providers, and of everything above
// them, stand on.
//
//   - [Memory] is a provider whose models are maps: tests publish revisions, move
//     refs, switch the source off and count what was asked of it.
//   - [Faulty] wraps any provider and breaks what it says in chosen ways.
//   - [Run] is the conformance suite: every provider runs it from a test of about
//     twenty lines, so that the contract is one text and not eight readings of it.
//     Its own tests break a source in some sixty ways, and each has to be noticed.
//
// # Terms
//
// op: a call of the contract, named as [providers.Error] names it: resolve, list,
// stat, check, read. fixture: one source with known content, made fresh for each
// subtest.
package providertest
