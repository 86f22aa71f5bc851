// Package idset holds the ids of what somebody works on, for many goroutines.
package idset
