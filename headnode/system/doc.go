// Package system answers what is asked of the data center as a whole: how much
// there is of it and which networks, as far as an account may know, and what
// happened.
package system
