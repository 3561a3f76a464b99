"""How the App shows things: lines and charts, pages of results, and sentences with the labels of the forms."""
