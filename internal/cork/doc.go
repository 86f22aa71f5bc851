// Package cork has the records of a TLS connection sent several at a time.
//
// crypto/tls hands each record, 16 KiB at most (RFC 8446, 5.1), to the kernel by
// itself. On a fast way most of a stream's cost is then what the kernel does for
// each piece: with four records in one, a bridge and its firewall see a quarter
// of the packets.
package cork
