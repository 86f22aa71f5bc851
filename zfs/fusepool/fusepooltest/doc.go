// Package fusepooltest gives tests a real pool.
package fusepooltest
