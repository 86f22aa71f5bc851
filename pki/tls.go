package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// ServerTLS is the configuration of a server that only machines of this data
// center in one of the allowed roles may use. With no role nobody may.
func (i *Identity) ServerTLS(allowed ...Role) *tls.Config {
	return i.serverTLS(func(peer name) error { return i.refuse(peer) }, allowed)
}

// TellingTLS is ServerTLS for a server that tells machines by itself that they
// were removed, and does nothing else for them: they are let in.
func (i *Identity) TellingTLS(allowed ...Role) *tls.Config {
	return i.serverTLS(func(name) error { return nil }, allowed)
}

func (i *Identity) serverTLS(judge func(name) error, allowed []Role) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return i.pair.Load(), nil },
		// Any certificate is let through to VerifyConnection, which runs on
		// resumed sessions too.
		ClientAuth: tls.RequireAnyClientCert,
		VerifyConnection: func(cs tls.ConnectionState) error {
			peer, err := i.verify(cs, x509.ExtKeyUsageClientAuth, allowed)
			if err != nil {
				return err
			}
			return judge(peer)
		},
	}
}

// ClientTLS is the configuration of a client that talks only to a machine of
// this data center in the expected role and, unless id is empty, with that id.
// Host names play no part.
func (i *Identity) ClientTLS(expect Role, id string) *tls.Config {
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return i.pair.Load(), nil },
		// VerifyConnection does all of the verification: the chain, and the
		// identity in the place of the host name.
		InsecureSkipVerify: true,
		ClientSessionCache: tls.NewLRUClientSessionCache(64),
		VerifyConnection: func(cs tls.ConnectionState) error {
			peer, err := i.verify(cs, x509.ExtKeyUsageServerAuth, []Role{expect})
			if err != nil {
				return err
			}
			if id != "" && peer.id != id {
				return fmt.Errorf("the peer is %s %s, not %s", peer.role, peer.id, id)
			}
			return i.refuse(peer)
		},
	}
}

// Peer returns the role and id of the machine at the other end of a
// connection that was made with ServerTLS or ClientTLS.
func Peer(cs tls.ConnectionState) (Role, string, error) {
	if len(cs.PeerCertificates) == 0 {
		return "", "", errors.New("the peer has shown no certificate")
	}
	n, err := readName(cs.PeerCertificates[0])
	return n.role, n.id, err
}

func (i *Identity) verify(cs tls.ConnectionState, usage x509.ExtKeyUsage, allowed []Role) (name, error) {
	if len(cs.PeerCertificates) == 0 {
		return name{}, errors.New("the peer has shown no certificate")
	}
	leaf := cs.PeerCertificates[0]
	// The CA signs leaves only, so intermediates are not even looked at.
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots:       i.roots,
		CurrentTime: i.now(),
		KeyUsages:   []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return name{}, fmt.Errorf("cannot verify the peer's certificate: %w", err)
	}
	peer, err := readName(leaf)
	if err != nil {
		return name{}, err
	}
	if peer.dc != i.dc {
		return name{}, errors.New("the peer belongs to another data center")
	}
	if !slices.Contains(allowed, peer.role) {
		return name{}, fmt.Errorf("the peer is a %s, which may not do this", peer.role)
	}
	return peer, nil
}

// refuse is an error for a machine that was removed.
func (i *Identity) refuse(peer name) error {
	if gone := i.gone.Load(); gone != nil && (*gone)(peer.role, peer.id) {
		return fmt.Errorf("%s %s was removed from the data center", peer.role, peer.id)
	}
	return nil
}
