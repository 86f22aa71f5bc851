// Package clientcert makes and verifies the client certificates by which an
// account's users are known to the Docker endpoint. They are made from SSH
// keys and need no certificate authority; two styles exist in the wild and
// both are served:
//
//   - Style 1: the certificate's own key is the SSH key, and it is signed by
//     itself (openssl in sdc-docker's setup script; X.509 version 1).
//   - Style 2: the certificate has a fresh key and is signed by the SSH key,
//     whose fingerprint is the issuer's common name (the triton command).
//
// In both the subject's common name is the account's login. Verify trusts
// nothing in a certificate but what a key that is stored with the account has
// signed.
package clientcert
