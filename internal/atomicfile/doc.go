// Package atomicfile replaces files so that a reader, or the machine after a power cut,
// finds either the old content or the new one, whole.
//
// The new content goes to a temporary file in the same directory, is synced, is renamed
// over the old one, and the directory is synced. A kill between these steps leaves at most
// a file whose name ends in ".tmp", which the next Write of the same path removes.
package atomicfile
