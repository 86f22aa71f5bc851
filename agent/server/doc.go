// Package server serves an agent over mutual TLS: to heads the wire protocol,
// and to other nodes the content that they may take from it.
package server
