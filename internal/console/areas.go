package console

import (
	"net/http"

	"holdfast/internal/web"
)

// Each area moves its function from here to a file of its own.

func (c *Console) vaultRoutes() []web.Route    { return nil }
func (c *Console) settingsRoutes() []web.Route { return nil }
func (c *Console) helpRoutes() []web.Route     { return nil }
func (c *Console) tourRoutes() []web.Route     { return nil }

// tourView is what the side panel of the guided tour shows.
type tourView struct{}

func (c *Console) tourOf(*http.Request, string) (*tourView, error) { return nil, nil }
