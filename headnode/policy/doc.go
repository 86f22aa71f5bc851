// Package policy says what an account may ask of the machines that its
// containers run on.
//
// It is pure: an account and a decoded request go in, every violation comes
// out at once, each under the name that Docker gives the field. It judges the
// same object that the container is made from, so that nothing can be asked
// past it. What a data center cannot do at all is not its business.
package policy
