package model

// ContainerUpdate changes a container that exists. What is nil stays.
type ContainerUpdate struct {
	// Limits are all limits that hold from now on, the unchanged ones too.
	Limits  *Limits        `json:"limits,omitempty"`
	Restart *RestartPolicy `json:"restart,omitempty"`
}
