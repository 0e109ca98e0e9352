-- What a person does in Neovim, with the configuration that README.md gives: look, repair, type. Run by test_neovim.py, with
-- the file to write to as an argument; the working folder has model.py and train.py.

local out = {}

local function told(buffer)
  local found = {}
  for _, each in ipairs(vim.diagnostic.get(buffer)) do
    local lsp = each.user_data and each.user_data.lsp or {}
    local related = {}
    for _, step in ipairs(lsp.relatedInformation or {}) do
      table.insert(related, { vim.fn.fnamemodify(vim.uri_to_fname(step.location.uri), ":t"), step.message })
    end
    table.insert(found, { code = each.code or lsp.code, line = each.lnum + 1, column = each.col + 1, related = related })
  end
  return found
end

local function settled(buffer, count, line)
  local good = vim.wait(60000, function()
    local found = vim.diagnostic.get(buffer)
    return #found == count and (line == nil or found[1].lnum + 1 == line)
  end, 50)
  if not good then
    error("waited in vain for " .. count .. ", got " .. vim.inspect(vim.diagnostic.get(buffer)))
  end
  return told(buffer)
end

-- The menu of code actions, in which the one that begins so is chosen.
local function act(beginning)
  local titles, chosen = {}, nil
  vim.ui.select = function(items, options, choose)
    for _, item in ipairs(items) do
      local title = options.format_item(item)
      table.insert(titles, title)
      if title:find(beginning, 1, true) == 1 then
        chosen = { item, choose }
      end
    end
    if chosen then
      chosen[2](chosen[1])
    end
  end
  vim.lsp.buf.code_action()
  if not vim.wait(60000, function() return #titles > 0 end, 50) or chosen == nil then
    error("no action begins with " .. beginning .. ": " .. vim.inspect(titles))
  end
  return titles
end

local function go()
  vim.cmd("filetype on")
  vim.cmd("edit model.py")
  local model = vim.api.nvim_get_current_buf()
  vim.cmd("split train.py")
  local train = vim.api.nvim_get_current_buf()
  out.opened = settled(train, 1)

  -- A line more at the top, and then one that is no Python.
  vim.api.nvim_buf_set_lines(train, 0, 0, false, { "# one more" })
  out.moved = settled(train, 1, out.opened[1].line + 1)
  vim.api.nvim_buf_set_lines(train, 0, 1, false, { "# one more", "def broken(:" })
  out.broken = settled(train, 1, out.opened[1].line + 2)
  vim.api.nvim_buf_set_lines(train, 0, 2, false, {})
  settled(train, 1, out.opened[1].line)

  vim.api.nvim_win_set_cursor(0, { out.opened[1].line, out.opened[1].column - 1 })
  out.titles = act("Leave out ")
  out.repaired = settled(train, 0)
  out.model = table.concat(vim.api.nvim_buf_get_lines(model, 0, -1, false), "\n")
end

local good, message = pcall(go)
if not good then
  out.error = tostring(message)
end
local file = io.open(vim.env.TORCHLINT_TOLD, "w")
file:write((vim.json and vim.json.encode or vim.fn.json_encode)(out))
file:close()
vim.cmd("qall!")
