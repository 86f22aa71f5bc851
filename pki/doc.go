// Package pki holds the keys and certificates by which the machines of a data
// center know each other: the cluster's certificate authority, the identity of
// a head or a node, and the TLS configurations made from them.
//
// An identity is a P-256 key with a certificate that the cluster's CA signed
// and that names the data center, the role and the id of the machine in a URI:
//
//	spearhead://DATA-CENTER-ID/ROLE/ID
//
// Who may talk to whom is decided by that URI and never by a host name: a
// node's certificate is refused where a head's is needed, and the other way
// round. All connections between machines are TLS 1.3 with certificates on
// both sides. The Docker endpoint is the exception: its clients come with
// certificates made from SSH keys (package clientcert), which are asked for at
// the handshake and judged at every request.
//
// Private keys are written with mode 0600 into directories with mode 0700.
package pki
