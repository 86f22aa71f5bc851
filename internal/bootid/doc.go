// Package bootid tells one boot of the machine from all others.
package bootid
