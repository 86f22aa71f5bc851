// Package metrics tells Prometheus how a node works and what each of its
// containers uses. Containers are looked at only when somebody asks, by one
// asker at a time, and for a bounded time.
package metrics
