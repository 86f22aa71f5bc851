// Package circle makes a head one among others: it reaches whichever of them
// leads, answers what they ask, knows what all of them have under way, and
// sees to it that they know of this head.
//
// It decides nothing about containers or images: those use cases are called
// through it, on the head that has to decide.
package circle
