// Package imageconfig decides what an image that is made of a container says
// about the containers that will be made from it: the container's own
// configuration, or one that the user gives, changed by instructions of a
// Dockerfile as docker commit --change takes them.
//
// It is pure. The language is BuildKit's, whose parser reads it.
package imageconfig
