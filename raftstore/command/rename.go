package command

// NumberRenameVolume is that of RenameVolume.
const NumberRenameVolume Number = 120

// RenameVolume gives a volume another name. KindConflict while a container
// mounts it, and if its account has another volume of that name. The name that
// it has is no error.
type RenameVolume struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Number implements Command.
func (RenameVolume) Number() Number { return NumberRenameVolume }
