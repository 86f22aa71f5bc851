// Package cork has the records of a TLS connection sent and read several at a
// time.
//
// crypto/tls hands each record, 16 KiB at most (RFC 8446, 5.1), to the kernel by
// itself, and returns each from a read of its own. On a fast way most of a
// stream's cost is then what the kernel and the scheduler do for each piece:
// with four records in one they have a quarter of it to do.
package cork
