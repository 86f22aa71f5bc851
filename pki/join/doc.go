// Package join is how a machine becomes a member of a data center, as the
// machine sees it, and what it and a head say to each other on the way.
//
// The machine has a token, a line of text that an operator made on a head. It
// fetches the data center's CA certificate from a head's public endpoint,
// which nobody vouches for yet, and compares it with the fingerprint in the
// token. From then on it talks only to who has a certificate of that CA for an
// endpoint, and so the token's secret and the request for a certificate go to a
// head and to nobody in between. The private key never leaves the machine.
//
// A head answers at once with all that the machine needs, or that an operator
// has to approve the machine first. The same request with the same key may be
// sent again: a lost answer, or the wait for an approval, costs no token.
package join
