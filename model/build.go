package model

// Builder is where an account's images are built, from its first build on: the
// node that keeps the cache, and the address from which steps of builds reach
// the outside.
type Builder struct {
	AccountID string `json:"account_id"`
	NodeID    string `json:"node_id"`
	NICs      []NIC  `json:"nics,omitempty"`
	// Memory is what its node has promised to it, in bytes: the limit of its
	// package while it runs, and 0 while it does not.
	Memory int64 `json:"memory,omitempty"`
}

// Sandbox is what the builder is called where containers have their ids: on its
// network and in its control group.
func (b *Builder) Sandbox() string { return BuilderSandbox(b.AccountID) }

// BuilderSandbox is the sandbox of an account's builder.
func BuilderSandbox(accountID string) string { return "builder-" + accountID }
