package console

import (
	"holdfast/internal/web"
)

// Each area moves its function from here to a file of its own.

func (c *Console) settingsRoutes() []web.Route { return nil }
