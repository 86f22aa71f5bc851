// Package server serves an agent to heads: the wire protocol over mutual TLS.
package server
