// Package profile sets a user's docker client up for an account of a data center.
//
// A Profile says where the data center is, who the user is there, and by which SSH key.
// From it Setup makes a client certificate signed with that key, checks step by step that
// the data center accepts it (and tells which step failed, in a sentence that says what to
// do), and leaves the files that docker reads: a certificate folder, an env.sh and a docker
// context of the same name. The SSH key itself is read or asked of the ssh-agent, used for
// one signature, and never copied.
package profile
