package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// table prints rows under a heading, in columns.
type table struct {
	out *tabwriter.Writer
}

func newTable(to io.Writer, heading ...string) table {
	t := table{out: tabwriter.NewWriter(to, 0, 0, 3, ' ', 0)}
	fmt.Fprintln(t.out, strings.Join(heading, "\t"))
	return t
}

// add adds a row; an empty cell is shown as a dash.
func (t table) add(cells ...any) {
	words := make([]string, len(cells))
	for i, cell := range cells {
		words[i] = fmt.Sprint(cell)
		if words[i] == "" {
			words[i] = "-"
		}
	}
	fmt.Fprintln(t.out, strings.Join(words, "\t"))
}

// print writes the table out, and tells of the first error that writing met.
func (t table) print() error { return t.out.Flush() }
