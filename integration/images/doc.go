// Package images tests images as users meet them: the real docker client, a rack of two
// nodes, and registries of every kind, by plain HTTP, with TLS under a private authority,
// with basic authentication and with tokens.
//
// Each registry is Debian's, behind a link that counts what it carries and can be made
// slow, stalled, cut in the middle or taken away.
package images
