// Package auth finds out which account asks, by the client certificate of the
// request's connection.
//
// The certificate's common name is the account's login, and one of the
// account's SSH keys must have made it (pki/clientcert). Whether the account
// still has that key is looked up at every request, so that removing a key
// shuts the door at once, also on connections that are open; only the
// signature, which cannot become false, is remembered.
package auth
