// Package archtest holds the rules that keep the source in shape, as tests: who may import
// whom, which library lives behind which package, what pure packages may not do, that
// everything exported is documented, and how long files and functions may grow.
//
// The rules read the source with go/parser; they build nothing and take a second. Each
// failure gives the place and the reason of its rule. A rule that stands in the way is
// changed here together with a page in docs/decisions.
package archtest
