// Package requestid lets one user's request be followed through the data
// center by one word: the head that takes the request chooses an id, the id
// travels in the context, from machine to machine in an HTTP header, and into
// each line of the log that is written on the request's behalf.
package requestid
