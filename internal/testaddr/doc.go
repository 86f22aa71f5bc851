// Package testaddr finds addresses for servers that tests start and that
// cannot be told to take any port.
package testaddr
